//! A network for the containers of one test process.
//!
//! testcontainers leaves alone what it did not create, so this one can carry our label: the next
//! process finds it where this one was killed.

use std::collections::HashMap;

use testcontainers_modules::testcontainers::bollard::models::NetworkCreateRequest;
use testcontainers_modules::testcontainers::bollard::query_parameters::ListNetworksOptionsBuilder;

use super::ending;
use super::engine::{OWNER, ask, connect, is_left_behind, this_owner};

/// A network on which containers find each other by name. Dropping it removes it; its containers
/// have to be gone.
#[derive(Debug)]
pub struct Network {
    name: String,
}

impl Network {
    /// Creates a network. Works within a runtime, which it blocks.
    ///
    /// # Errors
    /// The engine does not do it.
    pub fn create(name: String) -> Result<Self, String> {
        let _creating = ending::creating()?;
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
        ending::await_end_if_ending();
        if let Err(error) = removed {
            eprintln!("a network of the tests was not removed: {error}");
        }
    }
}

/// Removes what ended processes of this host left behind; their containers have to be gone.
pub(super) async fn remove_leftovers() -> Result<(), String> {
    let owned = labelled(OWNER.to_owned()).await?;
    remove(owned.into_iter().filter(|(_, owner)| is_left_behind(owner))).await
}

/// Removes the networks of this process, and says how many it found.
pub(super) async fn remove_owned() -> Result<usize, String> {
    let owned = labelled(format!("{OWNER}={}", this_owner())).await?;
    let found = owned.len();
    remove(owned.into_iter()).await?;
    Ok(found)
}

/// Id and owner of the tests' networks with this label.
pub(super) async fn labelled(label: String) -> Result<Vec<(String, String)>, String> {
    let filters = HashMap::from([("label", vec![label])]);
    let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
    let found = connect()?.list_networks(Some(options)).await;
    let found = found.map_err(|error| error.to_string())?.into_iter();
    let owned = found.filter_map(|network| Some((network.id?, network.labels?.remove(OWNER)?)));
    Ok(owned.collect())
}

async fn remove(networks: impl Iterator<Item = (String, String)>) -> Result<(), String> {
    let engine = connect()?;
    for (id, _) in networks {
        engine.remove_network(&id).await.ok(); // another process may be at it as well
    }
    Ok(())
}
