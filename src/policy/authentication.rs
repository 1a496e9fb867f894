//! Who sends a request, as far as the policies have found out: expressions call it `authentication`, and what comes after
//! (limits by client, logs) looks at it.

use crate::expr::{self, Tree, Value};

/// Empty until a policy that admits somebody fills it in.
#[derive(Debug, Default)]
pub struct Authentication {
    pub client_id: Option<Box<[u8]>>,
    pub client_name: Option<Box<[u8]>>,
    pub principal: Option<Box<[u8]>>,
    /// An object, such as of a token's claims.
    pub properties: Tree,
}

impl Authentication {
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether an access policy has admitted somebody.
    pub fn is_known(&self) -> bool {
        self.client_id.is_some() || self.principal.is_some()
    }

    pub(super) fn value(&self, field: expr::Authentication) -> Value<'_> {
        let text = match field {
            expr::Authentication::ClientId => &self.client_id,
            expr::Authentication::ClientName => &self.client_name,
            expr::Authentication::Principal => &self.principal,
            expr::Authentication::Properties => return Value::from(&self.properties),
        };
        text.as_deref().map_or(Value::Null, Value::borrowed)
    }
}
