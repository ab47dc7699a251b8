//! Error texts of servers that are out of memory, or whose process can do no further work: texts as data, each with its
//! source. They are compared in lower case.

use serde_json::Value;
use shared_schema::{ErrorCode, Task};

use crate::error::TaskError;

/// Error texts of memory allocators of CPUs and GPUs.
const OUT_OF_MEMORY: &[&str] = &[
    // PyTorch: `torch.OutOfMemoryError`, its texts for CUDA, HIP, XPU and MPS; ComfyUI: "Allocation on device".
    "outofmemory",
    "out of memory",
    "allocation on device",
    "defaultcpuallocator",
    // Python's `MemoryError`.
    "memoryerror",
    // CUBLAS_STATUS_ALLOC_FAILED, CUDNN_STATUS_ALLOC_FAILED, CUFFT_ALLOC_FAILED.
    "alloc_failed",
    // C++: `std::bad_alloc`, as stable-diffusion.cpp answers it.
    "bad_alloc",
];

/// Error texts of a process that can do no further work: only a restart helps, if anything does.
const BROKEN: &[&str] = &[
    // PyTorch, c10/cuda/CUDAException.cpp and the class that it raises since 2.8. An error of a kernel is sticky: each later
    // call of the process fails with it (CUDA Runtime API, "Error Handling").
    "cuda error:",
    "acceleratorerror",
    "device-side assert",
    "illegal memory access was encountered",
    "unspecified launch failure",
    // Triton, ONNX Runtime, CuPy and TensorRT for the same.
    "triton error [",
    "cuda failure",
    "cudaruntimeerror",
    "cuda runtime (",
    // Libraries of CUDA; PyTorch: ATen/cudnn/Exceptions.h, ATen/cuda/Exceptions.h, CuFFTUtils.h, NCCLUtils.hpp.
    "cudnn error",
    "cudnn_status_",
    "cublas_status_",
    "cublas error",
    "cufft error",
    "cufft_",
    "cusparse_status_",
    "cusolver error",
    "cusolver_status_",
    "curand_status_",
    "nccl error",
    // The driver: NVIDIA, "Xid errors" (48, 79 and others).
    "ecc error",
    "fallen off the bus",
    "gpu is lost",
    // No device, or no driver; PyTorch: torch/cuda/__init__.py, c10/cuda/CUDAFunctions.cpp, CUDACachingAllocator.cpp.
    "no cuda gpus are available",
    "no cuda-capable device",
    "no nvidia driver",
    "cuda driver",
    "cuda unknown error",
    "error from cudagetdevicecount",
    "nvidia driver on your system is too old",
    "not compiled with cuda enabled",
    "nvml_success ==",
    "failed to initialize nvml",
    // AMD: c10/hip, MIOpen, ROCm.
    "hip error:",
    "no hip gpus are available",
    "miopen error",
    "miopenstatus",
    "rocblas_status_",
    "hipblas_status_",
    "hsa_status_error",
    // Intel: c10/xpu, SYCL, Level Zero.
    "xpu error",
    "no xpu devices are available",
    "level_zero backend failed",
    "native api failed",
    "ur_result_error_device_lost",
    // Apple: Metal, as torch.mps and MLX report it.
    "command buffer exited with error status",
    "mps backend not available",
    // DirectML and Vulkan.
    "getdeviceremovedreason",
    "dxgi_error_device_",
    "error_device_lost",
    "errordevicelost",
    "devicelost",
    // The machine: errno 28, 30, 122, 5, 107 and 116; threads that cannot be started any more.
    "no space left on device",
    "read-only file system",
    "disk quota exceeded",
    "[errno 5] input/output error",
    "transport endpoint is not connected",
    "stale file handle",
    "can't start new thread",
];

/// Quoted text is mostly not the server's own: a name or a text that it reports.
const QUOTES: [char; 2] = ['\'', '"'];

/// Whether the text of a failure reports exhausted memory.
pub(super) fn is_out_of_memory(words: &str) -> bool {
    let words = words.to_lowercase();
    OUT_OF_MEMORY.iter().any(|sign| words.contains(sign))
}

/// The same failure, as `runtime_broken` if the server's own error text matches.
///
/// Callers' texts appear in messages, and must not stop a server. Hence a text of the list does not count
/// after a quotation mark, and not at all if the task has it, too.
pub(crate) fn recognised(error: TaskError, task: &Task) -> TaskError {
    let may_be = matches!(
        error.code,
        ErrorCode::RuntimeFailed
            | ErrorCode::RuntimeUnavailable
            | ErrorCode::RuntimeBadAnswer
            | ErrorCode::ModelMismatch
            | ErrorCode::NoOutput
    );
    let signs = error.reason.as_ref().filter(|_| may_be).map(signs).unwrap_or_default();
    if signs.is_empty() {
        return error;
    }
    let said_by_task = decoded(&serde_json::to_string(&task.content).unwrap_or_default()).to_lowercase();
    if signs.iter().all(|sign| said_by_task.contains(sign)) {
        return error;
    }
    TaskError { code: ErrorCode::RuntimeBroken, ..error }
}

/// The texts of the list in all texts of an answer.
fn signs(reason: &Value) -> Vec<&'static str> {
    match reason {
        Value::String(text) => text.to_lowercase().lines().flat_map(signs_in_line).collect(),
        Value::Array(items) => items.iter().flat_map(signs).collect(),
        Value::Object(fields) => fields.values().flat_map(signs).collect(),
        _ => Vec::new(),
    }
}

fn signs_in_line(line: &str) -> Vec<&'static str> {
    if is_out_of_memory(line) {
        return Vec::new();
    }
    let own = line.split(QUOTES).next().unwrap_or_default();
    let is_said = |sign: &&str| has_words(own, sign) || (sign.contains(QUOTES) && line.starts_with(sign));
    BROKEN.iter().copied().filter(is_said).collect()
}

/// Whether the text has the sign where a word begins.
fn has_words(text: &str, sign: &str) -> bool {
    text.match_indices(sign).any(|(at, _)| !text[..at].ends_with(char::is_alphanumeric))
}

/// A text with its percent-encoded characters decoded, as servers show the names of files.
fn decoded(text: &str) -> String {
    let query = text.replace('&', "%26").replace('=', "%3D");
    url::form_urlencoded::parse(query.as_bytes()).map(|(text, _)| text.into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn task(content: &Value) -> Task {
        serde_json::from_value(json!({
            "metadata": { "id": "1", "runtime": "r", "tasktype": "text-to-image", "prefix": "p", "context": {} },
            "content": content,
        }))
        .unwrap()
    }

    fn code(reason: &Value, content: &Value) -> ErrorCode {
        let error = TaskError::new(ErrorCode::RuntimeFailed, "it failed").with_reason(reason.clone());
        recognised(error, &task(content)).code
    }

    #[test]
    fn a_broken_process_is_recognised_by_its_error_text() {
        for (kind, words) in [
            (
                "RuntimeError",
                "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be …",
            ),
            ("AcceleratorError", "whatever it says"),
            ("torch.AcceleratorError", ""),
            ("RuntimeError", "CUDA error: device-side assert triggered"),
            (
                "RuntimeError",
                "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm( handle)`",
            ),
            ("RuntimeError", "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"),
            ("RuntimeError", "cuFFT error: CUFFT_INTERNAL_ERROR"),
            ("DistBackendError", "NCCL error in: ProcessGroupNCCL.cpp:1"),
            ("RuntimeError", "HIP error: invalid device function"),
            ("RuntimeError", "No CUDA GPUs are available"),
            ("RuntimeError", "Found no NVIDIA driver on your system."),
            ("Exception", "sampling failed: CUDA error: uncorrectable ECC error encountered"),
            ("RuntimeError", "the GPU has fallen off the bus"),
            ("RuntimeError", "XPU error: device lost"),
            ("OSError", "[Errno 28] No space left on device: '/opt/output/x.png'"),
            ("OSError", "[Errno 30] Read-only file system: 'x'"),
            ("RuntimeError", "can't start new thread"),
        ] {
            let (comfyui, forge) = (
                json!({ "exception_type": kind, "exception_message": words, "node_type": "KSampler" }),
                json!({ "error": kind, "detail": "", "body": "", "message": words }),
            );
            for reason in [comfyui, forge] {
                assert_eq!(
                    code(&reason, &json!({ "prompt": "a cat" })),
                    ErrorCode::RuntimeBroken,
                    "{reason}"
                );
            }
        }
        for field in ["error", "detail", "body", "errors"] {
            let reason = json!({ field: "CUDA error: unspecified launch failure" });
            assert_eq!(code(&reason, &json!({})), ErrorCode::RuntimeBroken, "{field}");
        }
    }

    #[test]
    fn full_memory_is_no_broken_process() {
        for words in [
            "CUDA error: out of memory",
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`",
        ] {
            assert!(is_out_of_memory(words));
            assert_eq!(code(&json!({ "errors": words }), &json!({})), ErrorCode::RuntimeFailed, "{words}");
        }
    }

    #[test]
    fn a_callers_own_text_breaks_nothing() {
        for (words, content) in [
            ("unknown sampler CUDA error: x", json!({ "sampler_name": "CUDA error: x" })),
            (
                "cannot open cuda ERROR: a.png",
                json!({ "1": { "inputs": { "image": "https://a/CUDA%20error%3A%20a.png" } } }),
            ),
            ("CUDA error: b\nis no number", json!({ "prompt": "cuda error: b" })),
            ("No space left on device is not in the list", json!({ "x": ["no space left on device"] })),
            // Put together in the workflow, it comes back in quotes.
            (
                "invalid literal for int() with base 10: 'CUDA error: x'",
                json!({ "a": "CUDA er", "b": "ror: x" }),
            ),
            ("KSampler has no \"ECC error\"", json!({})),
            ("the wrong chip error: none", json!({})),
        ] {
            let reason = json!({ "exception_type": "ValueError", "exception_message": words });
            assert_eq!(code(&reason, &content), ErrorCode::RuntimeFailed, "{words}");
        }
        let both = json!({ "errors": "CUDA error: device-side assert triggered" });
        let provoked = json!({ "prompt": "CUDA error: give me a restart" });
        assert_eq!(code(&both, &provoked), ErrorCode::RuntimeBroken, "the task says only a part of it");
    }

    #[test]
    fn a_refusal_is_never_the_servers_end() {
        let error = TaskError::new(ErrorCode::RuntimeRejected, "no").with_reason(json!("CUDA error: x"));
        assert_eq!(recognised(error, &task(&json!({}))).code, ErrorCode::RuntimeRejected);
    }
}
