/** What API Gateway asks an authorizer of type `TOKEN`. */
export interface Question {
  authorizationToken?: string;
  methodArn: string;
}

export interface Answer {
  principalId: string;
  policyDocument: { Version: string; Statement: { Effect: string; Action: string; Resource: string }[] };
  usageIdentifierKey: string;
}

export function authorize(question: Question): Promise<Answer>;
