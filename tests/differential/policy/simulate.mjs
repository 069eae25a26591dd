// Reads one JSON case a line on stdin, writes one verdict a line: what iam-simulate decides.
// A development tool: nothing of it is shipped, and nothing of the product imports it.
import { createInterface } from 'node:readline'
import { runSimulation } from '@cloud-copilot/iam-simulate'

for await (const line of createInterface({ input: process.stdin })) {
  const { principal, action, resource, account, context, identity, policy } = JSON.parse(line)
  const outcome = await runSimulation(
    {
      request: {
        principal,
        action,
        resource: { resource, accountId: account },
        contextVariables: context,
      },
      identityPolicies: identity.map((each, index) => ({ name: `policy${index}`, policy: each })),
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      resourcePolicy: policy ?? undefined,
    },
    {},
  )
  const verdict =
    outcome.resultType === 'error'
      ? { error: outcome.errors }
      : { result: outcome.overallResult, ignored: outcome.result.ignoredContextKeys }
  process.stdout.write(JSON.stringify(verdict) + '\n')
}
