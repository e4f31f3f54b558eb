# syntax=docker/dockerfile:1
# Two images from one recipe: `light` (API, migrations, light worker; no torch) and `train` (light and torch).
# Torch without CUDA unless told otherwise:  --build-arg TORCH_INDEX=https://pypi.org/simple
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS wheel
WORKDIR /src
COPY requirements.lock ./
RUN --mount=type=cache,target=/root/.cache/pip pip install -c requirements.lock hatchling ziglang
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY api ./api
COPY worker ./worker
COPY chaos_core ./chaos_core
COPY chaos_store ./chaos_store
COPY chaos_client ./chaos_client
COPY migrations ./migrations
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

FROM ${PYTHON} AS light-packages
COPY requirements.lock /
RUN python -m venv --without-pip /opt/chaos
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip --python /opt/chaos install -c /requirements.lock "$(echo /wheels/*.whl)[server]" scipy matplotlib scikit-learn pysindy
RUN /opt/chaos/bin/python -c "from chaos_core.native import status; found = status(); assert found.level, found.reason"

FROM light-packages AS train-packages
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /opt/chaos install --no-deps --index-url "$TORCH_INDEX" "$(grep ^torch== /requirements.lock)"
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip --python /opt/chaos install -c /requirements.lock "$(echo /wheels/*.whl)[server,worker]"

FROM ${PYTHON} AS base
RUN useradd --uid 10001 --home-dir /data --shell /usr/sbin/nologin chaos \
    && mkdir -p /data/tmp /backups && chown -R chaos:chaos /data /backups
ENV PATH=/opt/chaos/bin:$PATH PYTHONUNBUFFERED=1 CHAOS_DATA_DIR=/data CHAOS_HOST=0.0.0.0 TMPDIR=/data/tmp
WORKDIR /data
EXPOSE 8000
CMD ["python", "-m", "api"]

FROM base AS train
COPY --from=train-packages /opt/chaos /opt/chaos
USER 10001:10001

FROM base AS light
COPY --from=light-packages /opt/chaos /opt/chaos
USER 10001:10001
