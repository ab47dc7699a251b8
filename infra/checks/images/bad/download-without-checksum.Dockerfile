# has no checksum
FROM python:3.12.13-slim-bookworm
RUN curl --fail --output /opt/x https://example.com/x
USER 10001:10001
ENTRYPOINT ["python"]
