# runs as nobody
FROM python:3.12.13-slim-bookworm
USER nobody
ENTRYPOINT ["python"]
