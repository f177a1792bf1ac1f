# Retraining in a container: everything that trains, and no model. The store is a volume.
#
#   docker build -f docker/retrain.Dockerfile -t resecta-retrain:0.1.0 .
#   docker run --rm -v resecta-store:/store resecta-retrain:0.1.0 --data "postgresql://reader@db/trials?table=registry"
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}
COPY requirements.lock /tmp/
RUN python3 -m venv /opt/resecta \
 && /opt/resecta/bin/pip install --no-cache-dir --no-deps -r /tmp/requirements.lock \
 && groupadd --system --gid 10001 resecta \
 && useradd --system --uid 10001 --gid resecta --no-create-home --home-dir /nonexistent resecta \
 && install -d -o 10001 -g 10001 /store
WORKDIR /app
COPY features features
COPY validation validation
COPY training training
COPY resecta.py .
ENV PATH=/opt/resecta/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RESECTA_STORE=/store \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp
USER 10001:10001
VOLUME /store
ENTRYPOINT ["python", "-m", "resecta", "retrain"]
