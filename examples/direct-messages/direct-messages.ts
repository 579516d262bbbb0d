import { authorizeByClaims, handler, join, publish, type Grant, type Identity } from 'chat-api';
import { map, mergeMap } from 'rxjs';
import Type from 'typebox';

/** The room in which an identity hears what is meant for it alone, on each of its devices. */
function mailbox(identity: string): string {
  return `@${identity}`;
}

/** `inbox`: from now on, the connection hears what is sent to its identity. */
export const inbox = handler('inbox', Type.Unknown(), (message$, { identity }) =>
  message$.pipe(map(() => join([mailbox(identity)]))),
);

const Letter = Type.Object({ to: Type.String({ minLength: 1, maxLength: 100 }), content: Type.String() });

/** `dm`: to one identity, wherever it is connected, and to the sender's own devices. */
export const dm = handler('dm', Letter, (message$, { identity }) =>
  message$.pipe(
    mergeMap(({ id, data }) => {
      const mailboxes = [...new Set([data.to, identity])].map(mailbox);
      return mailboxes.map((room) => publish({ type: 'dm', room, data, id }, { outside: true }));
    }),
  ),
);

/** Nobody opens another's mailbox, and everybody may put something into it; all else is as the token's claims say. */
export function authorizeMailboxes(identity: Identity): Grant | undefined {
  const grant = authorizeByClaims(identity);
  return (
    grant && {
      mayJoin: (room) => (room.startsWith('@') ? room === mailbox(identity.subject) : grant.mayJoin(room)),
      mayPublish: (room) => room.startsWith('@') || grant.mayPublish(room),
      mayPublishGlobally: () => grant.mayPublishGlobally(),
    }
  );
}
