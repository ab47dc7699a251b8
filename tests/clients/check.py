"""Drives the local stack's AWS port with boto3 and the AWS CLI: the calls that users of such a stack make.

Usage: check.py PATH_OF_LOCAL_STACK
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

import boto3
import botocore.exceptions
from botocore.config import Config

STARTED = re.compile(r"aws apis\s+(http://\S+)")
CLI = pathlib.Path(sys.executable).with_name("aws")


def main(local_stack: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--listen", "127.0.0.1:0", "--aws-listen", "127.0.0.1:0", "--data-dir", folder]
        stack = subprocess.Popen([local_stack, *arguments], stdout=subprocess.PIPE, text=True)
        try:
            endpoint = next(found[1] for line in stack.stdout if (found := STARTED.search(line)))
            with_boto3(endpoint)
            with_cli(endpoint, pathlib.Path(folder))
        finally:
            stack.terminate()
            stack.wait()


def with_boto3(endpoint: str) -> None:
    def client(service: str, **settings):
        return boto3.client(
            service, endpoint_url=endpoint, region_name="us-east-1",
            aws_access_key_id="anything", aws_secret_access_key="at all", config=Config(**settings))

    sqs, sns, s3 = client("sqs"), client("sns"), client("s3")

    queue = sqs.create_queue(QueueName="clients", Attributes={"VisibilityTimeout": "30"})["QueueUrl"]
    assert queue in sqs.list_queues(QueueNamePrefix="clie")["QueueUrls"]
    described = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert described["VisibilityTimeout"] == "30", described

    topic = sns.create_topic(Name="clients")["TopicArn"]
    assert {"TopicArn": topic} in sns.list_topics()["Topics"]
    policy = json.dumps({"$or": [{"sd_model_checkpoint": ["m"]}, {"runtime": ["mine"]}]})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=described["QueueArn"], Attributes={"FilterPolicy": policy})
    assert len(sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]) == 1
    for runtime in ("mine", "another"):
        attributes = {"runtime": {"DataType": "String", "StringValue": runtime}}
        sns.publish(TopicArn=topic, Message=runtime, MessageAttributes=attributes)
    received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)["Messages"]
    assert [json.loads(message["Body"])["Message"] for message in received] == ["mine"], received
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=received[0]["ReceiptHandle"])
    counts = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])
    assert counts["Attributes"]["ApproximateNumberOfMessages"] == "0", counts

    s3.create_bucket(Bucket="clients")
    s3.put_object(Bucket="clients", Key="a b/ä.txt", Body=b"hello", ContentType="text/plain", Metadata={"who": "me"})
    head = s3.head_object(Bucket="clients", Key="a b/ä.txt")
    assert (head["ContentType"], head["Metadata"]) == ("text/plain", {"who": "me"}), head
    listed = s3.list_objects_v2(Bucket="clients", Prefix="a b/")["Contents"]
    assert [found["Key"] for found in listed] == ["a b/ä.txt"]
    url = s3.generate_presigned_url("get_object", {"Bucket": "clients", "Key": "a b/ä.txt"}, ExpiresIn=60)
    assert urllib.request.urlopen(url).read() == b"hello"
    late = s3.generate_presigned_url("get_object", {"Bucket": "clients", "Key": "a b/ä.txt"}, ExpiresIn=-60)
    try:
        urllib.request.urlopen(late)
        raise AssertionError("an expired URL was served")
    except urllib.error.HTTPError as refusal:
        assert refusal.code == 403, refusal
    s3.delete_object(Bucket="clients", Key="a b/ä.txt")
    assert "Contents" not in s3.list_objects_v2(Bucket="clients")

    tasks(client("dynamodb"))
    print("boto3: queues, topics, subscriptions, objects, presigned URLs and tables work")


def tasks(dynamodb) -> None:
    table = "darkroom-tasks"
    assert table in dynamodb.list_tables()["TableNames"]
    described = dynamodb.describe_table(TableName=table)["Table"]
    assert {index["IndexName"] for index in described["GlobalSecondaryIndexes"]} == {"by_owner", "unfinished"}, described
    ttl = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}, ttl

    for number in range(3):
        item = {"pk": {"S": f"clients-{number}"}, "owner": {"S": "clients"}, "created": {"S": str(number)}}
        dynamodb.put_item(TableName=table, Item=item, ConditionExpression="attribute_not_exists(pk)")
    try:
        dynamodb.put_item(
            TableName=table, Item=item, ConditionExpression="attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD")
        raise AssertionError("a failed condition was ignored")
    except dynamodb.exceptions.ConditionalCheckFailedException as refusal:
        assert refusal.response["Item"] == item, refusal.response
    query = {
        "TableName": table, "IndexName": "by_owner", "KeyConditionExpression": "#owner = :owner",
        "ExpressionAttributeNames": {"#owner": "owner"}, "ExpressionAttributeValues": {":owner": {"S": "clients"}},
        "ScanIndexForward": False,
    }
    pages = list(dynamodb.get_paginator("query").paginate(**query, PaginationConfig={"PageSize": 2}))
    assert [found["pk"]["S"] for page in pages for found in page["Items"]] == ["clients-2", "clients-1", "clients-0"]
    assert len(pages[0]["Items"]) == 2, pages

    write = {"Put": {"TableName": table, "Item": {"pk": {"S": "clients-3"}}}}
    check = {"ConditionCheck": {
        "TableName": table, "Key": {"pk": {"S": "clients-0"}}, "ConditionExpression": "attribute_not_exists(pk)"}}
    try:
        dynamodb.transact_write_items(TransactItems=[write, check])
        raise AssertionError("a failed condition of a transaction was ignored")
    except dynamodb.exceptions.TransactionCanceledException as refusal:
        reasons = [reason["Code"] for reason in refusal.response["CancellationReasons"]]
        assert reasons == ["None", "ConditionalCheckFailed"], reasons
    assert "Item" not in dynamodb.get_item(TableName=table, Key={"pk": {"S": "clients-3"}})
    try:
        dynamodb.list_backups()
        raise AssertionError("an operation that is not emulated succeeded")
    except botocore.exceptions.ClientError as refusal:
        assert refusal.response["Error"]["Code"] == "UnknownOperationException", refusal.response
    for number in range(3):
        dynamodb.delete_item(TableName=table, Key={"pk": {"S": f"clients-{number}"}})


def with_cli(endpoint: str, folder: pathlib.Path) -> None:
    environment = {
        **os.environ, "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test", "AWS_PAGER": "",
    }

    def aws(*arguments: str) -> str:
        command = [CLI, "--endpoint-url", endpoint, *arguments]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    assert "darkroom-sdruntime" in aws("sqs", "list-queues")
    assert "darkroom-completions" in aws("sns", "list-topics")
    assert "darkroom-output" in aws("s3", "ls")

    file = folder / "picture.png"
    file.write_bytes(b"\x89PNG")
    aws("s3", "cp", str(file), "s3://darkroom-output/in/picture.png")
    assert "picture.png" in aws("s3", "ls", "s3://darkroom-output/in/")
    url = aws("s3", "presign", "s3://darkroom-output/in/picture.png").strip()
    assert urllib.request.urlopen(url).read() == b"\x89PNG"
    aws("s3", "rm", "s3://darkroom-output/in/picture.png")

    made = json.loads(aws("sqs", "create-queue", "--queue-name", "cli", "--output", "json"))["QueueUrl"]
    aws("sqs", "send-message", "--queue-url", made, "--message-body", "hello")
    got = json.loads(aws("sqs", "receive-message", "--queue-url", made, "--output", "json"))["Messages"]
    assert got[0]["Body"] == "hello", got
    aws("sqs", "delete-queue", "--queue-url", made)

    assert "darkroom-tasks" in aws("dynamodb", "list-tables")
    aws("dynamodb", "put-item", "--table-name", "darkroom-tasks", "--item", '{"pk": {"S": "cli"}, "n": {"N": "1"}}')
    scanned = json.loads(aws("dynamodb", "scan", "--table-name", "darkroom-tasks", "--output", "json"))["Items"]
    assert {"pk": {"S": "cli"}, "n": {"N": "1"}} in scanned, scanned
    aws("dynamodb", "delete-item", "--table-name", "darkroom-tasks", "--key", '{"pk": {"S": "cli"}}')
    print("aws cli: lists, copies, presigned URLs, messages, items work")


if __name__ == "__main__":
    main(*sys.argv[1:])
