/** Every shape that travels. A change to one of them is a change of the protocol: raise `protocolVersion`, or record it knowingly. */
import * as api from '../../protocol/api.ts'
import * as ask from '../../protocol/asks.ts'
import { batchMediaType, Manifest } from '../../protocol/batch.ts'
import { Derivation } from '../../protocol/derived.ts'
import { Policy } from '../../protocol/policy.ts'
import { ChainPosition } from '../../protocol/position.ts'
import { AppliedReceipt, HeadStatement, RemovalReceipt, StoredReceipt } from '../../protocol/receipt.ts'
import { ReconcileQuestion, ReconciliationStatement, reconcileAnswers } from '../../protocol/reconciliation.ts'
import { Schema } from '../../protocol/schema.ts'

export interface WireShapes {
  protocolVersion: number
  paths: Record<string, string>
  mediaTypes: string[]
  shapes: Record<string, unknown>
}

export function wireShapes(): WireShapes {
  const { EnrolToken, EnrolRequest, PollRequest, ReceiptsRequest, DeliveryHeader, AgentReport } = api
  const statements = { Manifest, Policy, ChainPosition, StoredReceipt, AppliedReceipt, RemovalReceipt, HeadStatement, Schema, Derivation }
  const shapes = { ...statements, EnrolToken, EnrolRequest, PollRequest, ReceiptsRequest, DeliveryHeader, AgentReport }
  const { Ask, PreviewQuestion, DescribeQuestion, SealedAnswer, PreviewAnswer, TablesAnswer, ColumnsAnswer } = ask
  Object.assign(shapes, { Ask, PreviewQuestion, DescribeQuestion, SealedAnswer, PreviewAnswer, TablesAnswer, ColumnsAnswer })
  const { DoctorQuestion, LogQuestion, OperateQuestion, DoctorAnswer, LogAnswer, DoneAnswer } = ask
  Object.assign(shapes, { DoctorQuestion, LogQuestion, OperateQuestion, DoctorAnswer, LogAnswer, DoneAnswer })
  Object.assign(shapes, { ReconcileQuestion, ReconciliationStatement, ReconcileAnswers: reconcileAnswers })
  const mediaTypes = [batchMediaType, api.deliveryMediaType]
  const wire: WireShapes = { protocolVersion: api.protocolVersion, paths: api.agentPaths, mediaTypes, shapes }
  return JSON.parse(JSON.stringify(wire)) as WireShapes
}
