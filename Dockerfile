# The prediction service with one model in it. `make image` exports the model to bundle/ and builds this.
#
#   docker run -e RESECTA_TOKEN="$(openssl rand -hex 32)" -p 127.0.0.1:3000:3000 resecta:0.1.0
#
# Inside a container the service listens on every address, and so refuses to start without RESECTA_TOKEN, which
# clients send as "Authorization: Bearer ...". Give it at run time; an image must not hold it.
# It writes nothing but temporary files: `--read-only --tmpfs /tmp` works.

# Any image with Python 3.11 and its venv module does, Debian's own among them (docs/container.md).
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
COPY requirements-serve.lock /tmp/
# Compiled while installing: a cold start takes 3 s instead of 9. pip has done its work then.
RUN python3 -m venv /opt/resecta \
 && /opt/resecta/bin/pip install --no-cache-dir --no-deps -r /tmp/requirements-serve.lock \
 && /opt/resecta/bin/pip uninstall -y --quiet setuptools pip

FROM ${BASE}
RUN groupadd --system --gid 10001 resecta \
 && useradd --system --uid 10001 --gid resecta --no-create-home --home-dir /nonexistent resecta
COPY --from=build /opt/resecta /opt/resecta
WORKDIR /app
COPY features features
COPY serving serving
COPY training/__init__.py training/
COPY training/bundle training/bundle
COPY resecta.py .
COPY bundle /bundle
RUN ["/opt/resecta/bin/python", "-m", "compileall", "-q", "."]

ENV PATH=/opt/resecta/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    BENTOML_DO_NOT_TRACK=True \
    MLFLOW_DISABLE_TELEMETRY=true \
    OMP_NUM_THREADS=1 \
    GOMP_SPINCOUNT=1000 \
    RESECTA_HOST=0.0.0.0 \
    RESECTA_PORT=3000 \
    RESECTA_MODEL=/bundle
EXPOSE 3000
USER 10001:10001
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['RESECTA_PORT'] + '/readyz', timeout=4)"]
CMD ["python", "-m", "resecta", "serve"]
