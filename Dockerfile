# A small image that runs cursorgate as an unprivileged user (65532):
#
#   docker build -t cursorgate --build-arg CURSORGATE_COMMIT="$(git rev-parse --short HEAD)" .
#   docker run -p 8080:8080 -e CURSORGATE_KEY -v "$PWD/cursorgate.toml:/etc/cursorgate/cursorgate.toml:ro" cursorgate
#
# Without a listener in the configuration, the gateway listens on 0.0.0.0:8080 in a container. CURSORGATE_LISTEN
# replaces the address of a listener at 127.0.0.1. The health check sends requests to the admin listener, which [admin]
# or CURSORGATE_ADMIN=127.0.0.1:9180 turns on. Without an admin listener, the container is never healthy.
#
# `make image-check` builds the image and tests it.

# The same version as in rust-toolchain.toml.
FROM docker.io/library/rust:1.95.0-bookworm@sha256:6258907abe69656e41cd992e0b705cdcfabcbbe3db374f92ed2d47121282d4a1 AS build
# zlib-ng needs CMake, the profile xz. OpenSSL, which is built from source, needs Perl, make and a C compiler, which the image has.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends cmake xz-utils \
    && rm -rf /var/lib/apt/lists/*
# The path that deploy/build.sh needs to produce the same bytes as in the archive and the Debian package.
WORKDIR /var/tmp/cursorgate/source
# .dockerignore selects the files of the build.
COPY . .
ARG SOURCE_DATE_EPOCH=0
ARG CURSORGATE_COMMIT=unknown
# The builder caches crates and their build results. `touch` makes the sources newer than the cached results, regardless
# of their times in the checkout.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/var/tmp/cursorgate/target,sharing=locked \
    find . -type f -exec touch {} + \
    && SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH CURSORGATE_COMMIT=$CURSORGATE_COMMIT deploy/build.sh \
    && cp ../target/release/cursorgate /usr/local/bin/cursorgate

# glibc, certificates and a user; no shell and no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot@sha256:9dac0a79194e45a7da0158a9c6da57b217585af0786db3845d1f0ec1a0dd182f
ARG CURSORGATE_COMMIT=unknown
LABEL org.opencontainers.image.title="cursorgate" \
    org.opencontainers.image.description="Signed cursor pagination in front of legacy HTTP APIs" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.revision="$CURSORGATE_COMMIT"
COPY --from=build /usr/local/bin/cursorgate /usr/local/bin/cursorgate
COPY LICENSE /usr/share/doc/cursorgate/LICENSE
# The user `nonroot` by its number, from which a cluster can see that it isn't root.
USER 65532:65532
EXPOSE 8080
# SIGTERM, the default: the gateway finishes its requests, within server.shutdown_timeout.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/cursorgate", "health", "--config", "/etc/cursorgate/cursorgate.toml"]
ENTRYPOINT ["/usr/local/bin/cursorgate"]
CMD ["run", "--config", "/etc/cursorgate/cursorgate.toml"]
