import { UserCheck } from 'lucide-react'
import { useState } from 'react'
import { JsonView } from './JsonView'
import { useRunActions, type Approval } from './queries'
import { SchemaForm, startValue, type JsonSchema } from '@/ui/SchemaForm'
import { Button, Fault, Field } from '@/ui/kit'
import { t } from '@/text'

/** A question to a person, answered in place. */
export function ApprovalCard({ approval }: { approval: Approval }) {
  const { decide } = useRunActions()
  const form = approval.form as JsonSchema | undefined
  const [data, setData] = useState<unknown>(() => (form ? startValue(form) : undefined))
  const [comment, setComment] = useState('')
  const answer = (decision: 'approve' | 'reject') => decide.mutate({ approval, decision, ...(comment ? { comment } : {}), ...(form && decision === 'approve' ? { data } : {}) })
  return (
    <section className="approval" aria-label={t.run.approval}>
      <header className="row">
        <UserCheck size={16} aria-hidden />
        <strong className="grow">{approval.node_name}</strong>
      </header>
      <p>{approval.message || t.run.approvalDefault}</p>
      {approval.subject !== undefined && approval.subject !== null && <JsonView label={t.run.subject} value={approval.subject} />}
      {form && <SchemaForm schema={form} value={data} onChange={setData} />}
      <Field label={t.run.comment}>{(ids) => <input {...ids} className="input" value={comment} maxLength={1000} onChange={(e) => setComment(e.target.value)} />}</Field>
      {decide.isError && <Fault error={decide.error} />}
      <div className="row">
        <Button kind="primary" busy={decide.isPending && decide.variables.decision === 'approve'} disabled={decide.isPending || decide.isSuccess} onClick={() => answer('approve')}>
          {t.run.approve}
        </Button>
        <Button busy={decide.isPending && decide.variables.decision === 'reject'} disabled={decide.isPending || decide.isSuccess} onClick={() => answer('reject')}>
          {t.run.reject}
        </Button>
      </div>
    </section>
  )
}
