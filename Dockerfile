# syntax=docker/dockerfile:1

# All services from one file: the stage `build` compiles them in one go, and each service is a target that takes its
# program from there, as in `docker build --target stock-service .`.

FROM rust:1.95-slim-bookworm AS build
# For librdkafka and SQLite. Not zlib1g-dev: zlib would be linked dynamically, and the runtime image has none.
RUN apt-get update && apt-get install -y --no-install-recommends g++ make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# `off` links a change in a minute instead of eight (on two cores), for programs that are 2 MB larger.
ARG LTO=thin
# A new service adds one `-p` here and a stage at the end.
#
# `touch`: cargo compares times, and the cached target may be younger than the sources of another clone.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,id=order-system-target,target=/target,sharing=locked \
    find . -type f -exec touch {} + && \
    CARGO_TARGET_DIR=/target CARGO_PROFILE_RELEASE_LTO=$LTO cargo build --release --locked --bins \
      -p order-service -p stock-service -p email-service -p payment-service -p shipping-service \
      -p webhook-service -p orderctl && \
    mkdir -p /out/data && \
    find /target/release -maxdepth 1 '(' -name '*-service' -o -name orderctl ')' -type f -exec cp {} /out/ ';'

FROM gcr.io/distroless/cc-debian12:nonroot AS runtime
# By number: Kubernetes cannot see from a name that it is not root's.
USER 65532:65532
# Where SQLite and mail go when nothing else is set. Mount a volume there, or set DATABASE_URL and SMTP_URL.
COPY --from=build --chown=65532:65532 /out/data /data
WORKDIR /
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.vendor="The order system's authors" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"

FROM runtime AS order-service
LABEL org.opencontainers.image.title="order-service" \
      org.opencontainers.image.description="Takes orders and appends them to the log; shows what became of them."
COPY --from=build /out/order-service /usr/local/bin/order-service
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s --retries=3 \
  CMD ["/usr/local/bin/order-service", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/order-service"]

FROM runtime AS stock-service
LABEL org.opencontainers.image.title="stock-service" \
      org.opencontainers.image.description="Reserves stock for orders, or rejects them."
COPY --from=build /out/stock-service /usr/local/bin/stock-service
EXPOSE 8081
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s --retries=3 \
  CMD ["/usr/local/bin/stock-service", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/stock-service"]

FROM runtime AS email-service
LABEL org.opencontainers.image.title="email-service" \
      org.opencontainers.image.description="Mails customers what became of their orders."
COPY --from=build /out/email-service /usr/local/bin/email-service
EXPOSE 8082
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s --retries=3 \
  CMD ["/usr/local/bin/email-service", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/email-service"]

FROM runtime AS payment-service
LABEL org.opencontainers.image.title="payment-service" \
      org.opencontainers.image.description="Charges orders through a payment gateway, and refunds them."
COPY --from=build /out/payment-service /usr/local/bin/payment-service
EXPOSE 8083
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s --retries=3 \
  CMD ["/usr/local/bin/payment-service", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/payment-service"]

FROM runtime AS shipping-service
LABEL org.opencontainers.image.title="shipping-service" \
      org.opencontainers.image.description="Ships orders that are paid."
COPY --from=build /out/shipping-service /usr/local/bin/shipping-service
EXPOSE 8084
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s --retries=3 \
  CMD ["/usr/local/bin/shipping-service", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/shipping-service"]

FROM runtime AS webhook-service
LABEL org.opencontainers.image.title="webhook-service" \
      org.opencontainers.image.description="Tells registered URLs what became of orders."
COPY --from=build /out/webhook-service /usr/local/bin/webhook-service
EXPOSE 8085
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s --retries=3 \
  CMD ["/usr/local/bin/webhook-service", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/webhook-service"]

# The command line: runs one command and ends.
FROM runtime AS orderctl
LABEL org.opencontainers.image.title="orderctl" \
      org.opencontainers.image.description="The command line of the order system, for its users and its operators."
COPY --from=build /out/orderctl /usr/local/bin/orderctl
ENTRYPOINT ["/usr/local/bin/orderctl"]
