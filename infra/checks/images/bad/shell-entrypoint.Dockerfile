# has no ENTRYPOINT as a list
FROM python:3.12.13-slim-bookworm
USER 10001:10001
ENTRYPOINT python
