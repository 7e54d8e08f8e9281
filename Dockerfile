# Two stages: the first installs, the last has Python, the gateway and nothing to build with. What is installed is locked,
# to the byte, in .ci/locks/ (.ci/lock renews it). The base is not: give it by its digest, and the image is the same each time:
#
#   docker buildx imagetools inspect python:3.13-slim        # says the digest
#   docker build --build-arg BASE=python:3.13-slim@sha256:… -t gateway .
ARG PYTHON=3.13
ARG BASE=python:${PYTHON}-slim
FROM ${BASE} AS build
# grpc for `forward_auth.grpc`, otel for `tracing`, either for `qr_sign_in`; empty for an image without
ARG EXTRA=
# PIP_* build arguments let a site point pip at its own index
ARG PIP_INDEX_URL
WORKDIR /src
COPY .ci/locks ./locks
RUN python -m venv /opt/gateway \
 && /opt/gateway/bin/pip install --no-cache-dir --require-hashes -r locks/image${EXTRA:+-$EXTRA}.txt \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --require-hashes -r locks/build.txt
COPY pyproject.toml README.md LICENSE gateway.example.yaml ./
COPY config ./config
COPY gateway ./gateway
RUN /opt/build/bin/pip wheel --no-index --no-deps --no-build-isolation -w /opt/build/wheels . \
 && /opt/gateway/bin/pip install --no-index --no-deps /opt/build/wheels/*.whl \
 && /opt/gateway/bin/pip check \
 && /opt/gateway/bin/python -m compileall -q /opt/gateway \
 && /opt/gateway/bin/pip uninstall --yes pip

FROM ${BASE}
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
