# The facade. Build: docker build -t fhir-facade .
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/fhir-facade \
 && /opt/fhir-facade/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY fhir_facade fhir_facade
COPY mappers mappers
COPY terminology terminology
COPY profiles profiles
RUN /opt/fhir-facade/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /data fhir && install -d -o fhir -g fhir -m 700 /data
COPY --from=build /opt/fhir-facade /opt/fhir-facade
ENV PATH=/opt/fhir-facade/bin:$PATH TZ=UTC PYTHONUNBUFFERED=1 \
    FHIR_FACADE_HOST=0.0.0.0 FHIR_FACADE_PORT=8000 FHIR_FACADE_DATA_DIR=/data
USER fhir
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["fhir-facade"]
CMD ["serve"]
