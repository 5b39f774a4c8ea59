//! Making an object, such as an Event.

use http_body_util::Full;
use hyper::{Request, header::CONTENT_TYPE};
use serde::Deserialize;

use super::{ApiServer, Refused, refused};

impl ApiServer {
    /// Tries once: who asks can come back with it. `path` is made of Kubernetes names, which need no encoding.
    pub async fn create(&self, path: &str, object: String) -> Result<(), Refused> {
        let request = Request::post(format!("{}{path}", self.url))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(object));
        let answer = match request {
            Ok(request) => self.send(request).await.map_err(Refused::from)?,
            Err(_) => return Err(Refused::Unasked("its address is not one")),
        };
        let (status, body) = (answer.status, answer.body.expose());
        if (200..300).contains(&status) {
            return match serde_json::from_slice::<Made>(body) {
                Ok(_) => Ok(()),
                Err(_) => Err(Refused::Foreign(status)),
            };
        }
        Err(refused(&answer))
    }
}

/// What was made, which a page of something else is not.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "its being there is what counts")]
struct Made {
    kind: String,
    api_version: String,
}
