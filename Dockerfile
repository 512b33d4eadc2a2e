# One image for every process of the Procfile, and for the simulator: the command says which.
# What is installed is what requirements.lock says, by hash.

ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS build
# The Makefile's.
ARG UV_VERSION=0.13.8
RUN python -m pip install --quiet --no-cache-dir uv==${UV_VERSION}
WORKDIR /build
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY unhurried ./unhurried
# As constraints, because the lock also names what only tests need. Hashes are checked all the same.
RUN uv build --quiet --wheel --out-dir dist . \
 && uv venv --quiet /opt/unhurried \
 && uv pip install --quiet --no-cache --compile-bytecode --python /opt/unhurried/bin/python \
      --constraints requirements.lock \
      "unhurried[service,simulator,otel] @ file://$(ls /build/dist/*.whl)"

FROM ${PYTHON}
RUN useradd --system --uid 10001 --user-group --no-create-home unhurried \
 && install --directory --owner=unhurried --group=unhurried --mode=0700 /var/lib/unhurried
COPY --from=build /opt/unhurried /opt/unhurried
WORKDIR /srv/unhurried
COPY app ./app
COPY tasks ./tasks
COPY simulator ./simulator
RUN /opt/unhurried/bin/python -m compileall -q .
ENV PATH=/opt/unhurried/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    UNHURRIED_RUN_DIRECTORY=/var/lib/unhurried
# Spool files.
VOLUME /var/lib/unhurried
USER unhurried
CMD ["python", "-m", "tasks.intake"]
