//! The container in which this program runs, if it runs in one.
//!
//! /proc/self/mountinfo of the *host* names containers too, because their mounts lie below the
//! engine's folder. So only the mounts over our own /etc/hostname, /etc/hosts and /etc/resolv.conf
//! tell our own container.

use anyhow::Context as _;

use super::api::{Api, ApiError};
use super::api_types::ContainerInfo;
use super::container_id::ContainerId;

/// Files that an engine mounts over the files of a container.
const MOUNTED_FILES: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];

/// Returns our own container; `None` if this engine knows none.
pub(super) async fn own_container(api: &Api) -> anyhow::Result<Option<ContainerInfo>> {
    let Some(which) = own_container_id() else {
        return Ok(None);
    };
    match api.inspect(&which).await {
        Ok(own) => Ok(Some(own)),
        // Perhaps a container of another engine; for this engine we are outside.
        Err(ApiError::Missing(_)) => Ok(None),
        Err(err) => Err(err).context("cannot inspect our own container"),
    }
}

/// Returns the ID of our own container, or the beginning of it; `None` outside a container.
pub(in crate::fleet::engine) fn own_container_id() -> Option<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mounted = mounted_id(&mounts).map(|id| id.as_str().to_owned());
    // By default a container's hostname is the beginning of its ID.
    let hostname = std::env::var("HOSTNAME").ok();
    let looks_like_id =
        |name: &String| name.len() >= 12 && name.bytes().all(|b| b.is_ascii_hexdigit());
    mounted.or_else(|| hostname.filter(looks_like_id))
}

/// Returns the container whose files are mounted over ours. In /proc/PID/mountinfo field 4 is the
/// root of the mount in its file system, field 5 the mount point (proc(5)).
fn mounted_id(mountinfo: &str) -> Option<ContainerId> {
    mountinfo.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (root, mount_point) = (fields.next()?, fields.next()?);
        let (_, rest) = root.split_once("/containers/")?;
        let id = rest.split('/').next()?;
        MOUNTED_FILES
            .contains(&mount_point)
            .then(|| ContainerId::new(id))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_container_is_found_by_its_mounted_files() {
        let id = "0123456789abcdef".repeat(4);
        let inside = format!(
            "612 601 254:1 /var/lib/docker/containers/{id}/resolv.conf /etc/resolv.conf rw - ext4 /dev/x rw\n"
        );
        assert_eq!(mounted_id(&inside), ContainerId::new(&id));
        let host = format!(
            "97 30 0:51 / /var/lib/docker/containers/{id}/mounts/shm rw - tmpfs shm rw\n\
             98 30 0:4 /containers/{id}/hosts /mnt rw - ext4 /dev/x rw\n"
        );
        assert_eq!(mounted_id(&host), None);
    }
}
