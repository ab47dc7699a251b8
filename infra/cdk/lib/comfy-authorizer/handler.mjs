// The authorizer of the Comfy API: Comfy SDKs send an API key as `Authorization: Bearer KEY`, and API Gateway reads it from
// what an authorizer returns. API Gateway compares the key with those of the usage plan itself, and refuses unknown ones.

const BEARER = /^Bearer ([\x21-\x7e]{20,128})$/i;

export async function authorize({ authorizationToken, methodArn }) {
  const key = BEARER.exec(authorizationToken ?? "")?.[1];
  // API Gateway answers exactly this message with 401.
  if (!key) throw new Error("Unauthorized");
  return {
    principalId: "api-key",
    policyDocument: {
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Action: "execute-api:Invoke", Resource: everyMethod(methodArn) }],
    },
    usageIdentifierKey: key,
  };
}

/** API Gateway reuses an answer for all methods, so it must not name the one that was called first. */
function everyMethod(methodArn) {
  const [api, stage] = methodArn.split("/");
  return `${api}/${stage}/*`;
}
