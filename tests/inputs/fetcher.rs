//! A fetcher for one test, with a resolver whose answers the test defines.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use integration_tests::image_server::ImageServer;
use local_stack::provision::Clients;
use shared_schema::content::{Media, MediaField};
use worker::cloud::Store;
use worker::config::Config;
use worker::error::TaskError;
use worker::inputs::fetch::Fetcher;
use worker::inputs::resolve::Resolver;

/// The field that the tests fetch for.
pub(crate) const FIELD: &str = "/content/init_images/0";

/// A fetcher, and the queries of its resolver.
pub(crate) struct Guarded {
    fetcher: Fetcher,
    pub(crate) names: Arc<Names>,
}

/// A resolver that returns the given answers in order, and repeats the last one.
#[derive(Debug, Default)]
pub(crate) struct Names {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    queries: Mutex<Vec<String>>,
}

impl Names {
    pub(crate) fn answer(&self, answers: &[&str]) {
        let addresses =
            |answer: &&str| answer.split_whitespace().map(|address| address.parse().unwrap()).collect();
        *self.answers.lock().unwrap() = answers.iter().map(addresses).collect();
    }

    pub(crate) fn queries(&self) -> Vec<String> {
        self.queries.lock().unwrap().clone()
    }
}

#[async_trait]
impl Resolver for Names {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.queries.lock().unwrap().push(name.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        answer.ok_or_else(|| io::Error::other("nobody was to ask"))
    }
}

impl Guarded {
    /// A fetcher that may fetch from `allowed` (`INPUT_ALLOW_HOSTS`) and from the bucket `listed`, with these variables.
    pub(crate) fn new(allowed: &str, variables: &[(&str, &str)]) -> Self {
        Self::with_s3("http://127.0.0.1:9", allowed, variables)
    }

    /// The same, whose S3 is at `endpoint`.
    pub(crate) fn with_s3(endpoint: &str, allowed: &str, variables: &[(&str, &str)]) -> Self {
        let mut all = HashMap::from([
            ("SQS_QUEUE_URL", "http://127.0.0.1:9/000000000000/q"),
            ("SNS_TOPIC_ARN", "arn:aws:sns:us-east-1:000000000000:t"),
            ("S3_BUCKET", "results"),
            ("RUNTIME_TYPE", "sdwebui"),
            ("INPUT_ALLOW_HOSTS", allowed),
            ("INPUT_S3_BUCKETS", "listed"),
        ]);
        all.extend(variables.iter().copied());
        let config = Config::from_vars(|name| all.get(name).map(|value| (*value).to_owned())).unwrap();
        let store = Store::new(&Clients::new(endpoint).sdk, "results", Duration::from_secs(60));
        let names = Arc::new(Names::default());
        let resolver: Arc<dyn Resolver> = names.clone();
        Self { fetcher: Fetcher::with_resolver(&config, store, resolver), names }
    }

    /// A fetcher that may fetch from that server, by any name.
    pub(crate) fn allowing(images: &ImageServer, variables: &[(&str, &str)]) -> Self {
        Self::new(&images.address.to_string(), variables)
    }

    /// Fetches one image.
    pub(crate) async fn fetch(&self, source: &str) -> Result<Bytes, TaskError> {
        Ok(self.fetch_all(&[source]).await?.remove(0))
    }

    /// Fetches images.
    pub(crate) async fn fetch_all(&self, sources: &[&str]) -> Result<Vec<Bytes>, TaskError> {
        let field = |(n, source): (usize, &&str)| MediaField {
            pointer: format!("/init_images/{n}"),
            value: (*source).to_owned(),
            media: Media::Image,
        };
        let fields: Vec<MediaField> = sources.iter().enumerate().map(field).collect();
        let inputs = self.fetcher.fetch_all(&fields, &BTreeMap::new()).await?;
        let pointers: Vec<&str> = inputs.iter().map(|input| input.pointer.as_str()).collect();
        assert_eq!(pointers, fields.iter().map(|field| field.pointer.as_str()).collect::<Vec<_>>());
        Ok(inputs.into_iter().map(|input| input.bytes).collect())
    }
}
