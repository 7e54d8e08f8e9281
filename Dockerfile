# Two stages: the first builds wheels, the last has Python, the gateway and nothing to build with.
ARG PYTHON=3.13
FROM python:${PYTHON}-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY gateway ./gateway
# PIP_* build arguments let a site point pip at its own index
ARG PIP_INDEX_URL
RUN python -m venv /opt/gateway \
 && /opt/gateway/bin/pip install --no-cache-dir . \
 && /opt/gateway/bin/python -m compileall -q /opt/gateway \
 && /opt/gateway/bin/pip uninstall --yes pip

FROM python:${PYTHON}-slim
# a fixed id, so that a volume or a Kubernetes securityContext can name it
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin gateway \
 && pip uninstall --yes pip
COPY --from=build /opt/gateway /opt/gateway
ENV PATH=/opt/gateway/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /etc/gateway
EXPOSE 8080
STOPSIGNAL SIGTERM
# /livez and not /readyz: a Redis that is away is no reason to restart the gateway. It reads `admin.listen` only, needs no
# secret, and costs some 40 ms of CPU
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
  CMD ["gateway", "health"]
ENTRYPOINT ["gateway"]
CMD ["run"]
