# A small image that runs cursorgate as nobody in particular:
#
#   docker build -t cursorgate .
#   docker run -p 8080:8080 -e CURSORGATE_KEY -v "$PWD/cursorgate.toml:/etc/cursorgate/cursorgate.toml:ro" cursorgate
#
# Without a listener in the configuration, the gateway listens on 0.0.0.0:8080 in a container; CURSORGATE_LISTEN changes
# the address of a listener that is at 127.0.0.1. The health check asks the admin listener, [admin] or
# CURSORGATE_ADMIN=127.0.0.1:9180: without one the container is never healthy.

FROM rust:1.95-bookworm AS build
# zlib-ng is built with CMake, OpenSSL from source; Perl, make and a C compiler are in the image.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends cmake \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
# The dependencies alone first: this layer stays until the lock file changes.
COPY Cargo.toml Cargo.lock ./
# A member of the workspace, and no part of the image.
COPY benches/peers/bare-pingora benches/peers/bare-pingora
COPY crates crates
RUN mkdir src \
    && touch src/lib.rs \
    && echo 'fn main() {}' >src/main.rs \
    && cargo build --release --locked
# Built-in dialects and envelopes are compiled in.
COPY config config
COPY src src
# Newer than what was built above, whatever times the checkout gave them.
RUN touch src/lib.rs src/main.rs && cargo build --release --locked

# glibc, certificates and a user; no shell and no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/target/release/cursorgate /usr/local/bin/cursorgate
COPY LICENSE /usr/share/doc/cursorgate/LICENSE
# nonroot, by number, so that a cluster can see that it is not root.
USER 65532:65532
EXPOSE 8080
# SIGTERM, the default: requests in hand are finished, at most for server.shutdown_timeout.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/cursorgate", "health", "--config", "/etc/cursorgate/cursorgate.toml"]
ENTRYPOINT ["/usr/local/bin/cursorgate"]
CMD ["run", "--config", "/etc/cursorgate/cursorgate.toml"]
