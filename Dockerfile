# The service's image: `docker build -t class-management-service .`
# What runs beside it, and with which settings: docker-compose.yml.

FROM python:3.11.16-slim-trixie AS builder

# uv by its own lock.
WORKDIR /build
COPY requirements-uv.lock ./
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
        --require-hashes --only-binary :all: -r requirements-uv.lock

# What the service needs, before the service: it changes less often.
COPY requirements.lock ./
RUN python -m venv --without-pip /opt/venv \
    && uv pip sync --no-cache --python /opt/venv/bin/python --require-hashes \
        --only-binary :all: --compile-bytecode requirements.lock

# The service itself, without what serves development. The lock for developers says which
# hatchling builds it, and its hashes.
COPY agents agents/
COPY class_management class_management/
COPY migrations migrations/
COPY rules rules/
COPY store store/
COPY tables tables/
COPY telemetry telemetry/
COPY web web/
COPY pyproject.toml README.md requirements-dev.lock ./
RUN uv pip install --no-cache --python /opt/venv/bin/python --no-deps \
        --build-constraints requirements-dev.lock --compile-bytecode .


FROM python:3.11.16-slim-trixie

# Numbers, so that a cluster can see that it isn't root, and volumes keep their owner.
RUN groupadd --gid 10001 service \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin service \
    && install --directory --owner 10001 --group 10001 --mode 0750 /var/lib/class-management

COPY --from=builder /opt/venv /opt/venv

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    CLASS_MANAGEMENT_SERVICE_DATA_DIR=/var/lib/class-management \
    CLASS_MANAGEMENT_SERVICE_LOG_FORMAT=json

USER 10001:10001
# RocksDB: one volume for each worker, and one that survives it.
VOLUME ["/var/lib/class-management"]
EXPOSE 5002
STOPSIGNAL SIGTERM

# Whether a restart would help; whether requests may come is /readyz. The start period
# is for waiting until topics and schema are there. No proxy is asked: http.client.
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import http.client, os; link = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('CLASS_MANAGEMENT_SERVICE_PORT') or 5002), timeout=4); link.request('GET', '/livez'); raise SystemExit(link.getresponse().status != 200)"]

ENTRYPOINT ["class-management"]
CMD ["worker"]
