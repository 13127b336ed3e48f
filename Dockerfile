# Two images: `docker build --target server .` is the Curfew server, and the last
# stage is the action, which GitHub builds from action.yml. No BuildKit feature is
# used, so that the legacy builder takes it too.

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

FROM scratch AS server
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
FROM scratch AS action
COPY --from=action-build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=action-build /image/ /
ENTRYPOINT ["/curfew-main"]
