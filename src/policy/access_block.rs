//! `access-block`: nobody gets in. For an API that is to be closed without being taken away.

use super::{Refusal, Step};
use crate::{
    fault::Kind,
    located::{Node, Problems, Value},
};

/// It has nothing to configure; `config: {}` is taken.
pub(super) fn check(config: Option<&Node>, problems: &mut Problems) -> bool {
    let Some(config) = config.filter(|config| !config.is_null()) else {
        return true;
    };
    match &config.value {
        Value::Map(map) if map.entries.is_empty() => true,
        _ => {
            problems.report(&config.origin, "`access-block` takes no configuration".to_owned());
            false
        }
    }
}

pub(super) fn on_request() -> Step {
    Step::Refuse(Refusal::new(Kind::Forbidden, "access to this API is blocked"))
}
