//! A network for the containers of one test process.
//!
//! testcontainers leaves alone what it did not create, so this one can carry our label: the next
//! process finds it where this one was killed.

use std::collections::HashMap;

use testcontainers_modules::testcontainers::bollard::models::NetworkCreateRequest;
use testcontainers_modules::testcontainers::bollard::query_parameters::ListNetworksOptionsBuilder;

use super::engine::{OWNER, ask, connect, is_left_behind, this_owner};

/// A network on which containers find each other by name. Dropping it removes it; its containers
/// have to be gone.
#[derive(Debug)]
pub(super) struct Network {
    name: String,
}

impl Network {
    pub(super) fn create(name: String) -> Result<Self, String> {
        let request = NetworkCreateRequest {
            name: name.clone(),
            labels: Some(HashMap::from([(OWNER.to_owned(), this_owner())])),
            ..NetworkCreateRequest::default()
        };
        ask(async {
            let created = connect()?.create_network(request).await;
            created.map_err(|error| error.to_string())
        })?;
        Ok(Self { name })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let removed = ask(async {
            let removed = connect()?.remove_network(&self.name).await;
            removed.map_err(|error| error.to_string())
        });
        if let Err(error) = removed {
            eprintln!("a network of the tests was not removed: {error}");
        }
    }
}

/// Removes what ended processes of this host left behind; their containers have to be gone.
pub(super) async fn remove_leftovers() -> Result<(), String> {
    let engine = connect()?;
    let labelled = HashMap::from([("label", vec![OWNER])]);
    let options = ListNetworksOptionsBuilder::new().filters(&labelled).build();
    let found = engine.list_networks(Some(options)).await;
    for network in found.map_err(|error| error.to_string())? {
        let owner = network.labels.and_then(|mut labels| labels.remove(OWNER));
        if let (Some(id), Some(owner)) = (network.id, owner)
            && is_left_behind(&owner)
        {
            // Another process may be at it as well.
            engine.remove_network(&id).await.ok();
        }
    }
    Ok(())
}
