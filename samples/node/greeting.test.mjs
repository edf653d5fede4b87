import assert from "node:assert/strict";
import { test } from "node:test";
import { greeting } from "./greeting.mjs";

test("a visitor is greeted by name", () => assert.equal(greeting("Ada"), "hello Ada from node\n"));
test("one without a name is a visitor", () => assert.equal(greeting(""), "hello visitor from node\n"));
