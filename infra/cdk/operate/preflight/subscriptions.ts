// Subscribers of results: what has to be done after the deployment.

import { type Check, note, ok } from "./finding.ts";

export const subscriptions: Check = async ({ subscriptions: { emails, webhooks, queues }, alarms }) => {
  const addresses = [...emails, ...(alarms.email ? [alarms.email] : [])];
  // SNS forgets a subscription that is not confirmed after this long (SNS developer guide,
  // "ConfirmSubscription").
  const soon = "within 3 days";
  return [
    ...(queues.length > 0 ? [ok(`results queues: ${queues.join(", ")}`)] : []),
    ...(addresses.length > 0
      ? [note(`${addresses.join(", ")}: confirm by the link in the email, ${soon}`)]
      : []),
    ...webhooks.map((url) => note(`${url}: must visit the SubscribeURL that SNS posts to it, ${soon}`)),
  ];
};
