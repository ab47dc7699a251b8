//! The signatures of documents, verified with another implementation and by the steps of the SNS Developer Guide.

use ring::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY as SHA1, RSA_PKCS1_2048_8192_SHA256 as SHA256,
    RsaParameters, UnparsedPublicKey,
};
use serde_json::Value;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::support::{Aws, http, json, start};

/// The text that is signed, from the fields that the guide lists for the document's type.
fn signed_text(document: &Value) -> String {
    let fields: &[&str] = match document["Type"].as_str().unwrap() {
        "Notification" => &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
        _ => &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
    };
    let present = fields.iter().filter(|name| !document[**name].is_null());
    present.map(|name| format!("{name}\n{}\n", document[*name].as_str().unwrap())).collect()
}

/// Whether the certificate that a document names verifies it.
async fn is_signed(document: &Value, algorithm: &'static RsaParameters) -> bool {
    let answer = http().get(document["SigningCertURL"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"application/x-pem-file".parse().unwrap())
    );
    let (_, pem) = x509_parser::pem::parse_x509_pem(&answer.bytes().await.unwrap()).unwrap();
    let (_, certificate) = X509Certificate::from_der(&pem.contents).unwrap();
    assert!(certificate.validity().is_valid());
    let key = UnparsedPublicKey::new(algorithm, &certificate.public_key().subject_public_key.data);
    let signature = base64_simd::STANDARD.decode_to_vec(document["Signature"].as_str().unwrap()).unwrap();
    key.verify(signed_text(document).as_bytes(), &signature).is_ok()
}

/// Whether a document is signed as of a topic without a signature version.
pub(crate) async fn is_signed_with_sha1(document: &Value) -> bool {
    document["SignatureVersion"] == "1" && is_signed(document, &SHA1).await
}

/// The document of a message in a queue.
async fn document(aws: &Aws, topic: &str, queue: &str, subject: Option<&str>) -> Value {
    let publish = aws.sns.publish().topic_arn(topic).message("hällo \"you\"\n");
    publish.set_subject(subject.map(str::to_owned)).send().await.unwrap();
    json(aws.next_message(queue).await.unwrap().body().unwrap())
}

#[tokio::test]
async fn the_certificate_verifies_documents_of_both_versions() {
    let aws = start().await;
    let (topic, queue) = (aws.topic("t").await, aws.queue("q").await);
    aws.subscribe(&topic, &queue, &[]).await;
    for (version, algorithm, other) in [("1", &SHA1, &SHA256), ("2", &SHA256, &SHA1)] {
        for subject in [None, Some("s")] {
            let signed = document(&aws, &topic, &queue, subject).await;
            assert_eq!(signed["SignatureVersion"], version);
            assert!(is_signed(&signed, algorithm).await, "{signed}");
            assert!(!is_signed(&signed, other).await, "{signed}");
            for field in ["Message", "MessageId", "Subject", "Timestamp", "TopicArn"] {
                let mut altered = signed.clone();
                altered[field] = Value::from(format!("{}x", signed[field].as_str().unwrap_or_default()));
                assert!(!is_signed(&altered, algorithm).await, "{field}");
            }
        }
        let set = aws.sns.set_topic_attributes().topic_arn(&topic).attribute_name("SignatureVersion");
        set.attribute_value("2").send().await.unwrap();
    }
    let set = aws.sns.set_topic_attributes().topic_arn(&topic).attribute_name("SignatureVersion");
    let refused = set.attribute_value("3").send().await.unwrap_err().into_service_error();
    assert!(refused.is_invalid_parameter_exception());
}
