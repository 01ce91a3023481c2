# What stands for the images' base: a root folder of Debian, with its Python where that of Docker Hub's image is.
FROM debian-root
# Docker Hub's Python lets pip install beside it.
RUN ln -s /usr/bin/python3 /usr/local/bin/python && rm -f /usr/lib/python3*/EXTERNALLY-MANAGED
# The authorities that this machine trusts, for an index of its own.
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
