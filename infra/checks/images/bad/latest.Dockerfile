# hadolint: DL3007
FROM python:latest
USER 10001:10001
ENTRYPOINT ["python"]
