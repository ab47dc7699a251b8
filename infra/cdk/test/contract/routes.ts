// The paths of a REST API, as API Gateway matches them.

import type { Template } from "aws-cdk-lib/assertions";

import { all, only } from "../support/service.ts";

export interface Route {
  method: string;
  path: string;
  needsKey: boolean;
}

/** The methods of the API of that name, each with its whole path. */
export function routes(template: Template, name: string): Route[] {
  const [api] = only(template, "AWS::ApiGateway::RestApi", { Name: name });
  const parts = all(template, "AWS::ApiGateway::Resource");
  const path = (id: string): string => {
    const { PathPart, ParentId } = parts[id] ?? {};
    return PathPart === undefined ? "" : `${path(ParentId.Ref)}/${PathPart}`;
  };
  return Object.values(all(template, "AWS::ApiGateway::Method"))
    .filter(({ RestApiId }) => RestApiId.Ref === api)
    .map(({ HttpMethod, ResourceId, ApiKeyRequired }) => ({
      method: HttpMethod,
      path: path(ResourceId.Ref),
      needsKey: ApiKeyRequired === true,
    }));
}

/** Whether requests of that method and path go there: `{name}` is one segment, `{name+}` one or more. */
export function leadsTo(route: Route, method: string, path: string): boolean {
  const pattern = route.path
    .split("/")
    .map((part) => (/^\{.+\+\}$/.test(part) ? ".+" : /^\{.+\}$/.test(part) ? "[^/]+" : part))
    .join("/");
  return ["ANY", method].includes(route.method) && new RegExp(`^${pattern}$`).test(path);
}
