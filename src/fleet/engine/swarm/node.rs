//! Our own node of the swarm, and the service that its engine knows.

use anyhow::{Context as _, bail};

use super::api::Api;
use super::own_container::OwnContainer;
use super::settings::SwarmSettings;
use super::target::{Survey, Target, check_node};
use crate::fleet::engine::client::ApiError;

/// The reason why there is no service to follow.
#[derive(Debug, thiserror::Error)]
pub(super) enum LocateError {
    /// The settings do not fit the swarm; the reason is a sentence.
    #[error("{0}")]
    Refused(String),
    /// The swarm gives no answer: perhaps it has no leader.
    #[error(transparent)]
    NoAnswer(#[from] ApiError),
}

/// Our own node.
#[derive(Clone, Debug)]
pub(in crate::fleet) struct SwarmNode {
    pub(super) api: Api,
    settings: SwarmSettings,
    own: Option<OwnContainer>,
}

impl SwarmNode {
    /// Surveys the node and its service. A swarm that gives no answer is no error: it may have no
    /// leader for a while.
    ///
    /// # Errors
    /// A sentence about the engine, or about settings that do not fit the swarm.
    pub(in crate::fleet) async fn survey(settings: &SwarmSettings) -> anyhow::Result<Self> {
        let api = Api::connect().await?;
        let own = OwnContainer::find(&api).await;
        let node = Self {
            own: own.context("cannot inspect our own container")?,
            settings: settings.clone(),
            api,
        };
        match node.locate().await {
            Ok(target) => {
                for warning in target.warnings {
                    tracing::warn!("{warning}");
                }
            }
            Err(LocateError::Refused(sentence)) => bail!(sentence),
            Err(LocateError::NoAnswer(err)) => {
                tracing::warn!("the swarm gives no answer; waiting for it: {err}");
            }
        }
        Ok(node)
    }

    /// Finds the service and its network.
    ///
    /// # Errors
    /// The swarm gives no answer, or the settings do not fit it.
    pub(super) async fn locate(&self) -> Result<Target, LocateError> {
        let info = self.api.get("/info").await?;
        check_node(&info).map_err(|refusal| LocateError::Refused(refusal.to_owned()))?;
        let survey = Survey {
            info,
            services: self.api.get("/services").await?,
            networks: self.api.get("/networks").await?,
            own: self.own.clone(),
        };
        survey.choose(&self.settings).map_err(LocateError::Refused)
    }
}
