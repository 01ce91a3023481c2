#!/bin/sh
# podman as podman-compose needs it for the conditions of `depends_on`, and as Debian 12's podman 4.3 is not.
case "$1" in
--version)
  # podman-compose waits for health from this version on.
  echo "podman version 4.6.0"
  exit
  ;;
wait)
  if [ "$2" = "--condition=healthy" ]; then
    shift 2
    # A health check runs by systemd's timers, which a container of CI has none of: here it is run until it
    # succeeds, at most as often as compose.yaml says.
    for container; do
      [ "$(podman inspect --format '{{.State.Health.Status}}' "$container")" != healthy ] || continue
      tries=60
      until podman healthcheck run "$container"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || exit 1
        sleep 1
      done
    done
    exit
  fi
  ;;
esac
# podman 4.3 would run a service that has ended again, and cannot if that needs one that runs.
for argument; do
  shift
  case "$argument" in
  --requires=*) ;;
  *) set -- "$@" "$argument" ;;
  esac
done
exec podman "$@"
