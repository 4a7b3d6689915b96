/** What fetched data is called: every query key of the studio. */
export const keys = {
  workspaces: ['workspaces', 'list'] as const,
  members: (workspace: string) => ['workspaces', workspace, 'members'] as const,
  workflows: ['workflows'] as const,
  workflowList: (filter: object) => ['workflows', 'list', filter] as const,
  workflow: (id: string) => ['workflows', 'one', id] as const,
  versions: (id: string) => ['workflows', 'one', id, 'versions'] as const,
  version: (id: string, version: number) => ['workflows', 'one', id, 'versions', version] as const,
  executions: ['executions'] as const,
  executionList: (filter: object) => ['executions', 'list', filter] as const,
  execution: (id: string) => ['executions', 'one', id] as const,
  executionNode: (id: string, node: string) => ['executions', 'one', id, 'node', node] as const,
  approvals: ['approvals'] as const,
  kinds: ['kinds'] as const,
  models: ['models'] as const,
  sessions: ['sessions'] as const,
  apiKeys: ['api-keys'] as const,
}
