# a clone without a version
FROM python:3.12.13-slim-bookworm
RUN git clone --depth 1 https://example.com/nodes.git /opt/nodes
USER 10001:10001
ENTRYPOINT ["python"]
