//! The configuration, as written.

use super::{Algorithm, claims};
use crate::{
    choice,
    located::{Bounded, Located, Origin, Problems},
    object,
};

object! {
    /// Configuration of `jwt-validation-flex`.
    pub(in crate::policy) struct JwtValidationSpec {
        /// Where the token stands. Default `httpBearerAuthenticationHeader`.
        optional "jwtOrigin" origin: JwtOrigin,
        /// What comes to the token, for `jwtOrigin: customExpression`. Default `#[attributes.headers['jwt']]`.
        optional "jwtExpression" expression: Located<String>,
        /// What tokens are signed with; any other is refused. `none` must be written out, and takes tokens without a
        /// signature alone. Default `rsa`.
        optional "signingMethod" method: Located<JwtSigningMethod>,
        /// Bits of the hash: 256, 384 or 512; of `es` 256 or 384. Default 256.
        optional "signingKeyLength" length: Located<Bounded<256, 512>>,
        /// `text`: the key is in `textKey`. `jwks`: keys come from `jwksUrl`. Default `text`.
        optional "jwtKeyOrigin" key_origin: Located<JwtKeyOrigin>,
        /// The secret for `hmac`; else a public key or certificate in PEM, with or without its first and last line.
        optional "textKey" text_key: Located<String>,
        /// What comes to the key's text, instead of `textKey`; it may name `authentication` and nothing of the request.
        optional "customKeyExpression" key_expression: Located<String>,
        /// Where issuers publish their keys: URLs with commas between.
        optional "jwksUrl" jwks_url: Located<String>,
        /// Minutes after which keys are fetched again. Default 60.
        optional "jwksServiceTimeToLive" ttl: Bounded<1, 525600>,
        /// Milliseconds for a fetch. Default 10000.
        optional "jwksServiceConnectionTimeout" timeout: Bounded<1, 600000>,
        /// Whether clients must have a contract: not yet, so it must be true.
        optional "skipClientIdValidation" skip_client_id: Located<bool>,
        /// What comes to the client's id. Default `#[vars.claimSet.client_id]`.
        optional "clientIdExpression" client_id: Located<String>,
        /// Whether `aud` is looked at. Default false.
        optional "validateAudClaim" validate_audience: bool,
        /// Whether a token needs an `aud`, for `validateAudClaim: true`. Default false.
        optional "mandatoryAudClaim" mandatory_audience: bool,
        /// Whom tokens may be for, with commas between.
        optional "supportedAudiences" audiences: Located<String>,
        /// Whether a token needs an `exp`; one that is there is looked at always. Default false.
        optional "mandatoryExpClaim" mandatory_expiry: bool,
        /// Whether a token needs an `nbf`; one that is there is looked at always. Default false.
        optional "mandatoryNbfClaim" mandatory_not_before: bool,
        /// Whether the two lists that follow are looked at. Default false.
        optional "validateCustomClaim" validate_custom: bool,
        /// Claims that must be there and right.
        optional "mandatoryCustomClaims" mandatory_custom: Vec<JwtClaimSpec>,
        /// Claims that must be right where they are there.
        optional "nonMandatoryCustomClaims" optional_custom: Vec<JwtClaimSpec>,
        /// Claims that the upstream gets as header lines.
        optional "claimsToHeaders" to_headers: Vec<JwtClaimHeaderSpec>,
    }
}

object! {
    /// A claim and what it must be.
    pub(in crate::policy) struct JwtClaimSpec {
        /// Its name.
        required "key" key: Located<String>,
        /// Text that it must be; or an expression, which must come to true or to what the claim is.
        required "value" value: Located<String>,
    }
}

object! {
    /// A claim and the header that carries it.
    pub(in crate::policy) struct JwtClaimHeaderSpec {
        /// The claim's name.
        required "key" key: Located<String>,
        /// The header's.
        required "value" value: Located<String>,
    }
}

choice! {
    pub(in crate::policy) enum JwtOrigin {
        Bearer = "httpBearerAuthenticationHeader",
        Expression = "customExpression",
    }
}

choice! {
    pub(in crate::policy) enum JwtSigningMethod { Rsa = "rsa", Hmac = "hmac", Es = "es", None = "none" }
}

choice! {
    pub(in crate::policy) enum JwtKeyOrigin { Text = "text", Jwks = "jwks" }
}

impl JwtValidationSpec {
    pub(super) fn algorithm(&self, problems: &mut Problems) -> Option<Algorithm> {
        let method = self
            .method
            .as_ref()
            .map_or(JwtSigningMethod::Rsa, |method| method.value);
        let length = self.length.as_ref().map_or(256, |length| length.get());
        let algorithm = match (method, length) {
            // A length that stands in the file of somebody who signs nothing means nothing.
            (JwtSigningMethod::None, _) => Some(Algorithm::None),
            (JwtSigningMethod::Rsa, 256) => Some(Algorithm::Rs256),
            (JwtSigningMethod::Rsa, 384) => Some(Algorithm::Rs384),
            (JwtSigningMethod::Rsa, 512) => Some(Algorithm::Rs512),
            (JwtSigningMethod::Hmac, 256) => Some(Algorithm::Hs256),
            (JwtSigningMethod::Hmac, 384) => Some(Algorithm::Hs384),
            (JwtSigningMethod::Hmac, 512) => Some(Algorithm::Hs512),
            (JwtSigningMethod::Es, 256) => Some(Algorithm::Es256),
            (JwtSigningMethod::Es, 384) => Some(Algorithm::Es384),
            _ => None,
        };
        if let (None, Some(length)) = (algorithm, &self.length) {
            let lengths = if method == JwtSigningMethod::Es {
                "256 or 384"
            } else {
                "256, 384 or 512"
            };
            let message = format!("must be {lengths} for `signingMethod: {}`", method.word());
            problems.within("signingKeyLength", |problems| {
                problems.report(&length.origin, message)
            });
        }
        algorithm
    }

    /// `origin`: where the policy is named.
    pub(super) fn audience(&self, origin: &Origin, problems: &mut Problems) -> Option<claims::Audience> {
        if !self.validate_audience.unwrap_or(false) {
            return None;
        }
        let written = self.audiences.as_ref();
        let supported: Vec<Box<[u8]>> = written
            .map_or("", |text| text.as_str())
            .split(',')
            .map(str::trim)
            .filter(|audience| !audience.is_empty())
            .map(|audience| audience.as_bytes().into())
            .collect();
        if supported.is_empty() {
            let message = "must name whom tokens may be for, as `validateAudClaim` is true";
            problems.within("supportedAudiences", |problems| {
                problems.report(written.map_or(origin, |text| &text.origin), message);
            });
        }
        Some(claims::Audience {
            mandatory: self.mandatory_audience.unwrap_or(false),
            supported,
        })
    }
}
