# runs as root
FROM python:3.12.13-slim-bookworm
ENTRYPOINT ["python"]
