// The account: its state, what happened to it, and what a deposit must find. As Emmett's documentation has deciders.

/** The most that an account may hold. */
const MOST = 1_000_000_000_000;

export const initialState = () => ({ open: false, closed: false, balance: 0 });

export const evolve = (account, { type, data }) => {
  switch (type) {
    case 'Opened':
      return { ...account, open: true };
    case 'Deposited':
      return { ...account, balance: account.balance + data.amount };
    case 'Closed':
      return { ...account, closed: true };
    default:
      return account;
  }
};

export const deposit = (account, data) => {
  if (!account.open) throw new Error('there is no such account');
  if (account.closed) throw new Error('the account is closed');
  if (data.amount > MOST - account.balance) throw new Error("the account can't hold so much");
  return { type: 'Deposited', data };
};
