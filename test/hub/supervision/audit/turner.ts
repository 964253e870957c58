/** A process that takes the audit's turns without end, to be killed: `audit-turner.ts <url of the store>`. */
import { openPostgresLog } from '../../../../hub/logs/postgres.ts'
import { openStore } from '../../../../hub/store/store.ts'
import { recordDeliveries } from '../../../../hub/supervision/audit/delivery.ts'
import { seal } from '../../../../hub/supervision/audit/sealer.ts'
import { recordSupply } from '../../../../hub/supervision/supply.ts'

const store = await openStore(process.argv[2]!)
const log = openPostgresLog(store)
for (;;) {
  await recordSupply({ store, log })
  await recordDeliveries(store)
  await seal(store)
}
