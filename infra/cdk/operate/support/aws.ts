// How every AWS client is made: the deployment's region, the usual credentials.

/**
 * `AWS_ENDPOINT_URL` and its variants per service are the SDK's own, and lead elsewhere (emulators, VPC
 * endpoints).
 */
export function aws(config: { region: string }) {
  return { region: config.region, maxAttempts: 5 };
}

/** The same for S3: an emulator has no host name per bucket. */
export function s3(config: { region: string }) {
  const elsewhere = process.env["AWS_ENDPOINT_URL_S3"] ?? process.env["AWS_ENDPOINT_URL"];
  return { ...aws(config), forcePathStyle: elsewhere !== undefined };
}

/** Whether AWS said that something is not there. */
export function isAbsent(error: unknown): boolean {
  const { name, $metadata, message } = error as {
    name?: string;
    message?: string;
    $metadata?: { httpStatusCode?: number };
  };
  return (
    $metadata?.httpStatusCode === 404 ||
    /NotFound|NoSuch/.test(name ?? "") ||
    // CloudFormation has no code of its own for a stack that does not exist.
    (name === "ValidationError" && /does not exist/.test(message ?? ""))
  );
}

/** Why AWS refused, in its own words. A HEAD has no error body, so the SDK has no error name either. */
export function reasonOf(error: Error): string {
  const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
  if (/^Unknown/.test(error.name) && status !== undefined) return `HTTP ${status}, without a reason`;
  return error.message ? `${error.name}: ${error.message.split("\n")[0]}` : error.name;
}

/** Whether AWS said that we may not look. */
export function isDenied(error: unknown): boolean {
  const { name, $metadata } = error as { name?: string; $metadata?: { httpStatusCode?: number } };
  return $metadata?.httpStatusCode === 403 || /AccessDenied|Unauthorized|Forbidden/.test(name ?? "");
}
