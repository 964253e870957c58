import type { Applied, Change, Delivery, Part, Prepared, SinkState, SinkTable } from '../database.ts'
import type { Connection } from './postgres-connection.ts'

export class PostgresDelivery implements Delivery {
  readonly connection: Connection
  constructor(connection: Connection) {
    this.connection = connection
  }
  async open(_sink: SinkTable): Promise<{ live: SinkState; shadow: SinkState | null }> {
    throw new Error('todo')
  }
  async beginShadow(_sink: SinkTable): Promise<void> {}
  async swap(_sink: SinkTable): Promise<void> {}
  prepare(_sink: SinkTable, change: Change): Prepared {
    return { change }
  }
  async apply(_sink: SinkTable, _part: Part, _prepared: Prepared): Promise<Applied> {
    throw new Error('todo')
  }
  async close(): Promise<void> {
    await this.connection.close()
  }
}
