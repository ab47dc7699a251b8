# models belong in the bucket
FROM python:3.12.13-slim-bookworm
COPY model.safetensors /models/
USER 10001:10001
ENTRYPOINT ["python"]
