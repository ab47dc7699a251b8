import { aws_cloudwatch as cloudwatch } from "aws-cdk-lib";

/** Columns that CloudWatch's dashboards have. */
const WIDTH = 24;

/** A third of the page. */
export function graph(title: string, left: cloudwatch.IMetric[]): cloudwatch.GraphWidget {
  return new cloudwatch.GraphWidget({ title, left, width: WIDTH / 3 });
}

/** The title of a section, as wide as the page. */
export function heading(title: string): cloudwatch.TextWidget {
  return new cloudwatch.TextWidget({ markdown: `## ${title}`, width: WIDTH, height: 1 });
}
