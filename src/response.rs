//! Step 6: the answer to the driver. The only place where secret bytes leave their type.

use prost::Message;

use crate::{
    error::Error,
    limits::DRIVER_ANSWER,
    pb,
    project::{NOTHING, Projection, too_large},
};

pub fn respond(projection: Projection) -> Result<pb::MountResponse, Error> {
    let mut response = pb::MountResponse::default();
    for file in projection.files {
        response
            .object_version
            .push(pb::ObjectVersion { id: file.path.to_string(), version: file.version });
        response.files.push(pb::File {
            path: file.path.to_string(),
            mode: file.mode.bits(),
            contents: file.bytes.into_bytes(),
        });
    }
    if response.files.is_empty() {
        let version = format!("{} optional objects missing", projection.left_out);
        response.object_version.push(pb::ObjectVersion { id: NOTHING.to_owned(), version });
        response.files.push(pb::File {
            path: NOTHING.to_owned(),
            mode: 0o444,
            contents: Vec::new(),
        });
    }
    let size = response.encoded_len();
    if size <= DRIVER_ANSWER {
        return Ok(response);
    }
    let files = response.files.iter().map(|file| (file.contents.len(), &*file.path));
    Err(too_large(&response.files.len().to_string(), size, files))
}

impl Drop for pb::File {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.contents);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        project::OutFile,
        secret::Secret,
        spc::file::{FileMode, RelPath},
    };

    fn of(sizes: &[usize]) -> Projection {
        let file = |(n, size): (usize, &usize)| OutFile {
            path: RelPath::parse(&format!("f{n}")).unwrap(),
            mode: FileMode::from_bits(0o644).unwrap(),
            bytes: Secret::new(vec![b'x'; *size]),
            version: "1".to_owned(),
        };
        Projection { files: sizes.iter().enumerate().map(file).collect(), left_out: 0 }
    }

    #[test]
    fn an_answer_the_driver_would_refuse_is_refused_here_with_sizes() {
        let fitting = DRIVER_ANSWER - 100;
        assert!(respond(of(&[fitting])).is_ok());
        let error = respond(of(&[10, DRIVER_ANSWER])).err().unwrap().to_string();
        assert!(error.contains("\"f1\" 4194304 bytes"), "{error}");
    }

    #[test]
    fn nothing_at_all_is_a_file_that_says_so() {
        let response = respond(Projection { files: Vec::new(), left_out: 2 }).unwrap();
        assert_eq!(response.files.len(), 1);
        assert_eq!(response.object_version[0].version, "2 optional objects missing");
    }
}
