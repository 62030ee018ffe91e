# acsauth as a plain HTTP server, for those who run it elsewhere than in Azure
# Functions. Put a proxy with TLS in front of it.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETARCH
ARG VERSION=dev
RUN CGO_ENABLED=0 GOOS=linux GOARCH=$TARGETARCH go build -trimpath -buildvcs=false \
    -ldflags="-s -w -X main.version=$VERSION" -o /handler ./handler

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /handler /handler
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s CMD ["/handler", "health"]
ENTRYPOINT ["/handler"]
