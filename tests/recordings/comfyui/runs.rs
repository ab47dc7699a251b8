//! Recorded workflows, repeated by the worker.

use std::sync::Arc;

use integration_tests::image_server;
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use tokio_util::sync::CancellationToken;
use worker::error::TaskError;
use worker::inputs::Input;
use worker::runtimes::{RunHandle, RunOutput, Runtime, comfyui};

use super::player::Player;
use super::{OWN_TESTS, outcome, recording};
use crate::server::Request;
use crate::{recordings, task};

/// A recorded workflow, run against its recording.
struct Replay {
    recording: Value,
    player: Player,
    runtime: Arc<dyn Runtime>,
    result: Result<RunOutput, TaskError>,
    handle: RunHandle,
}

/// An input of the workflow is uploaded, and `upload` is the answer.
async fn replay(name: &str, upload: Value) -> Replay {
    let recording = recording(name);
    let prompt = &recording["request"]["body"]["prompt"];
    let player = Player::start(recording.clone(), &[upload]).await;
    let runtime = comfyui::connect(&task::options(&player.url)).unwrap();
    let (result, handle) = task::run(&*runtime, task::job("pipeline", prompt, inputs(prompt))).await;
    Replay { recording, player, runtime, result, handle }
}

/// A picture for every node that loads one.
fn inputs(prompt: &Value) -> Vec<Input> {
    let nodes = prompt.as_object().unwrap().iter();
    let loaders = nodes.filter(|(_, node)| node["class_type"] == "LoadImage");
    loaders.map(|(id, _)| task::png(&format!("/{id}/inputs/image"), image_server::cat())).collect()
}

/// The recorded answers to an upload, and to one of the same name with other bytes.
fn upload_answers() -> (Value, Value) {
    let upload = recording("upload-image");
    (upload["response"].clone(), upload["response_same_name_other_bytes"].clone())
}

impl Replay {
    fn name(&self) -> &str {
        self.recording["name"].as_str().unwrap()
    }

    /// Asserts that the job stays in the history until its results are stored, and is deleted then.
    async fn assert_forgotten(&self) {
        assert!(
            self.player.requests().of("POST /history").is_empty(),
            "{} was deleted too early",
            self.name()
        );
        self.runtime.forget(&self.handle).await;
        let deletion = json!({ "delete": [self.player.posted().await["prompt_id"]] });
        let deletions = self.player.requests().of("POST /history");
        assert_eq!(deletions.iter().map(Request::json).collect::<Vec<_>>(), [deletion]);
        assert_eq!(self.player.unanswered(), Vec::<String>::new(), "{}", self.name());
    }

    /// Asserts that another process, without the inputs, collects the same results.
    async fn assert_adoptable(&self) {
        let another = comfyui::connect(&task::options(&self.player.url)).unwrap();
        let job = task::job("pipeline", &self.recording["request"]["body"]["prompt"], Vec::new());
        assert_eq!(another.adopt(job, &self.handle).await, Some(self.result.clone()), "{}", self.name());
    }

    /// Asserts that the worker posted what was recorded, with ids of its own and all results in a folder of its
    /// own. The recorded `extra_data`, which requests previews, is not sent by the worker.
    async fn assert_posted(&self, image: Option<&str>) {
        let posted = self.player.posted().await;
        let name = self.name();
        assert_eq!(self.player.requests().of("POST /prompt").len(), 1, "{name}");
        assert_eq!(
            posted.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["prompt", "client_id", "prompt_id"]
        );
        assert_eq!(posted["client_id"].as_str(), self.player.client_id().as_deref(), "{name}");
        assert!(posted["client_id"].as_str().unwrap().starts_with("darkroom-"), "{name}");
        assert!(uuid::Uuid::parse_str(posted["prompt_id"].as_str().unwrap()).is_ok(), "{name}");
        for id in ["prompt_id", "client_id"] {
            assert_eq!(self.handle.0[id], posted[id], "{name}");
        }

        let mut expected = self.recording["request"]["body"]["prompt"].clone();
        let nodes = expected.as_object_mut().unwrap();
        let folder = posted["prompt"].as_object().unwrap().values().find_map(folder_of);
        for prefix in nodes.values_mut().filter_map(|node| node.pointer_mut("/inputs/filename_prefix")) {
            let file = prefix.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            *prefix = json!(format!("{}/{file}", folder.unwrap()));
        }
        if let Some(image) = image {
            expected["1"]["inputs"]["image"] = json!(image);
        }
        assert_eq!(posted["prompt"], expected, "{name}");
        if let Some(folder) = folder {
            let unguessable = folder.strip_prefix("darkroom/").unwrap();
            assert!(uuid::Uuid::parse_str(unguessable).is_ok(), "{name} saves to {folder}");
            assert_eq!(self.handle.0["output_folder"], folder, "{name}");
            let uploads = self.player.requests().of("POST /upload/image");
            let holds =
                |body: &[u8]| body.windows(unguessable.len()).any(|part| part == unguessable.as_bytes());
            assert!(
                uploads.iter().all(|upload| !holds(&upload.body)),
                "{name}: the folder of inputs reveals that of results"
            );
        }
    }
}

fn folder_of(node: &Value) -> Option<&str> {
    Some(node.pointer("/inputs/filename_prefix")?.as_str()?.rsplit_once('/')?.0)
}

#[tokio::test]
async fn every_recorded_workflow_has_its_expected_result() {
    for name in recordings("comfyui", OWN_TESTS) {
        let replay = replay(&name, upload_answers().0).await;

        // The recorded server gave the picture the same name as the recorded workflow.
        replay.assert_posted(None).await;
        if replay.result.is_ok() {
            replay.assert_adoptable().await;
        }
        replay.assert_forgotten().await;
        let id = &replay.player.posted().await["prompt_id"];
        outcome::assert_result(&replay.recording, id, outcome::of(&name), replay.result);
    }
}

#[tokio::test]
async fn a_job_with_node_errors_is_removed_from_the_runtime() {
    let replay = replay("partial-node-errors-with-200", upload_answers().0).await;

    let id = replay.player.posted().await["prompt_id"].clone();
    assert_eq!(replay.result.unwrap_err().code, ErrorCode::RuntimeRejected);
    assert!(!replay.player.requests().of("GET /queue").is_empty(), "the queue was not requested");
    let interruptions = replay.player.requests().of("POST /interrupt");
    assert!(interruptions.iter().all(|call| call.json() == json!({ "prompt_id": id })));
}

#[tokio::test]
pub(super) async fn a_renamed_upload_is_in_the_workflow_under_its_new_name() {
    let replay = replay("load-scale-invert-save-and-preview", upload_answers().1).await;

    replay.assert_posted(Some("darkroom/up/darkroom-input (1).png")).await;
    let uploads = replay.player.requests().of("POST /upload/image");
    let [upload] = uploads.as_slice() else { panic!("{} uploads", uploads.len()) };
    let picture = image_server::cat();
    assert!(upload.body.windows(picture.len()).any(|part| part == picture), "the picture was not sent whole");
}

/// Runs the recorded workflow that was interrupted. `interrupt` is called when the runtime has it.
async fn interrupted(interrupt: impl FnOnce(&Player, &CancellationToken)) -> Replay {
    let recording = recording("interrupted");
    let player = Player::start(recording.clone(), &[]).await;
    let runtime = comfyui::connect(&task::options(&player.url)).unwrap();
    let job = task::job("pipeline", &recording["request"]["body"]["prompt"], Vec::new());
    let stop = job.stop.clone();
    let ((result, handle), ()) = tokio::join!(task::run(&*runtime, job), async {
        player.posted().await;
        interrupt(&player, &stop);
    });
    let replay = Replay { recording, player, runtime, result, handle };
    replay.assert_posted(None).await;
    replay.assert_forgotten().await;
    replay
}

#[tokio::test]
pub(super) async fn a_stop_interrupts_the_run_inside_the_runtime() {
    let replay = interrupted(|_, stop| stop.cancel()).await;

    assert_eq!(replay.result.as_ref().unwrap_err().code, ErrorCode::Interrupted);
    let mut expected = replay.recording["action"]["request"]["body"].clone();
    expected["prompt_id"] = replay.player.posted().await["prompt_id"].clone();
    let calls = replay.player.requests().of("POST /interrupt");
    assert!(calls.iter().all(|call| call.json() == expected) && !calls.is_empty());
}

#[tokio::test]
async fn a_run_that_another_client_interrupts_is_no_failure_of_the_workflow() {
    let replay = interrupted(|player, _| player.interrupt()).await;

    let error = replay.result.unwrap_err();
    assert_eq!((error.code, error.node_id.as_deref()), (ErrorCode::Interrupted, Some("2")));
}

#[tokio::test]
pub(super) async fn a_server_that_has_started_is_ready() {
    let player = Player::start(recording("images-batch-of-3"), &[]).await;
    let runtime = comfyui::connect(&task::options(&player.url)).unwrap();

    assert_eq!(runtime.ready().await, Ok(()));
    assert_eq!(runtime.pin_settings().await, Ok(()));
    let [stats, length, again, cancellation] = player.requests().lines().try_into().unwrap();
    assert_eq!([&*stats, &*length, &*again], ["GET /system_stats", "GET /prompt", "GET /system_stats"]);
    // An id that no job has shows whether it can cancel by id.
    assert!(
        cancellation.starts_with("POST /api/jobs/") && cancellation.ends_with("/cancel"),
        "{cancellation}"
    );
}
