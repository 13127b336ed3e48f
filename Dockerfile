# Three images: `docker build --target server .` is the Curfew server, the last
# stage is the action, which GitHub builds from action.yml, and `--target action-arc`
# is the action for ARC's Kubernetes mode. No BuildKit feature is used, so that the
# legacy builder takes it too.

# Modules are fetched by each build as it needs them: the action needs few, and
# GitHub builds it in every job.
FROM golang:1.26 AS source
WORKDIR /src
COPY go.mod go.sum ./
COPY cmd cmd
COPY pkg pkg
ARG VERSION=
ENV CGO_ENABLED=0

FROM source AS server-build
RUN go build -trimpath -tags slim -ldflags="-s -w -buildid= -X main.version=$VERSION" -o /image/curfew ./cmd/curfew \
 && mkdir /image/data

FROM source AS action-build
RUN go build -trimpath -ldflags="-s -w -buildid= -X main.version=$VERSION" -o /image/curfew-main ./cmd/action \
 && ln -s curfew-main /image/curfew-post

FROM golang:1.26 AS busybox
RUN apt-get update && apt-get install -y --no-install-recommends busybox-static \
 && mkdir -p /image/bin && cp "$(command -v busybox)" /image/bin/ \
 && for name in sh env tail; do ln -s busybox /image/bin/$name; done

FROM scratch AS server
ARG VERSION=
LABEL org.opencontainers.image.title="Curfew" \
      org.opencontainers.image.description="Trades a GitHub Actions job's OIDC token for a GitHub token that dies when the job ends" \
      org.opencontainers.image.source="https://github.com/curfew-dev/curfew" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION"
COPY --from=server-build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=server-build /image/curfew /curfew
# Where the SQLite database goes, unless --database says otherwise.
COPY --from=server-build --chown=65532:65532 /image/data /data
WORKDIR /data
USER 65532:65532
ENV CURFEW_LISTEN=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s CMD ["/curfew", "health"]
ENTRYPOINT ["/curfew"]
CMD ["serve"]

# Neither USER nor WORKDIR: the runner's file commands belong to root, and the
# runner sets the working directory.
# https://docs.github.com/en/actions/reference/workflows-and-actions/dockerfile-support
FROM scratch AS action-alone
ARG VERSION=
LABEL org.opencontainers.image.title="Curfew action" \
      org.opencontainers.image.description="Gets a GitHub Actions job a GitHub token for exactly what policy allows, which dies when the job ends" \
      org.opencontainers.image.source="https://github.com/curfew-dev/curfew" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION"
COPY --from=action-build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=action-build /image/ /
ENTRYPOINT ["/curfew-main"]

# ARC's Kubernetes mode keeps a pod alive with tail, and starts what runs in it by
# sh and env.
# https://github.com/actions/runner-container-hooks/tree/main/packages/k8s
FROM action-alone AS action-arc
COPY --from=busybox /image/ /

FROM action-alone AS action
