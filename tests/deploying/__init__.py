"""The files for containers, pods and services, the image and the package: parsed by the real tools, and started."""
